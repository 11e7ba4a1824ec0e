{{- define "tenants" -}}
{{- $listed := .Values.multiTenancy.allowedTenants -}}
{{- if kindIs "string" $listed }}{{ $listed = splitList "," $listed }}{{ end -}}
{{- $tenants := list -}}
{{- range $listed }}{{ $tenant := trim . }}{{ if and $tenant (ne $tenant "*") }}{{ $tenants = append $tenants $tenant }}{{ end }}{{ end -}}
{{- $tenants | uniq | toJson -}}
{{- end -}}

{{- define "keys" -}}
{{- if eq .layout "hashtag" -}}~tenant:{ {{- .tenant -}} }:asdlc:*{{- else -}}~tenant:{{ .tenant }}:asdlc:*{{- end -}}
{{- end -}}

{{- define "labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
