package archive

// SetMax has segments end earlier.
func (w *Writing) SetMax(positions uint64, bytes int) { w.maxPositions, w.maxBytes = positions, bytes }
