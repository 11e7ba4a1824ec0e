"""What the widgets show and forward: Qt models over a ReviewSession, QtCore only."""
