"""The pages: each has a `layout` made once and `live` values made again and again, both from views."""
