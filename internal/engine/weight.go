package engine

import (
	"sync/atomic"
)

// A batch is held in memory, and once more as the messages that its sender makes
// of it. So how many rows the next one has also depends on how large those of the
// last one were.

// weight is the mean size of the rows of the last batch, in bytes; 0: there was
// none.
type weight struct{ bytes atomic.Int64 }

// note takes the size of a row; 0 says nothing.
func (w *weight) note(size int64) {
	if size > 0 {
		w.bytes.Store(size)
	}
}

// limit returns how many rows the next batch may have, if burst is the most and
// they take up to so many bytes.
func (w *weight) limit(burst int, bytes int64) int {
	row := w.bytes.Load()
	if row == 0 {
		return burst
	}
	return int(min(int64(burst), max(1, bytes/row)))
}
