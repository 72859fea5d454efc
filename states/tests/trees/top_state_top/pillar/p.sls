p: entry
