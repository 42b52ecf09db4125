"""From a frame to face windows and back: detection, window geometry, paste-back."""
