"""Where models come from: folders of repositories, their versions, their configurations."""
