"""HTTP/1.1 with limits: what both servers share."""
