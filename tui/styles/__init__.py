"""How the UI looks: themes, and the stylesheet."""
