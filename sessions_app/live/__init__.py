"""Live views: whoever has a session open sees it change, over sockets in HTML and over event streams in JSON."""
