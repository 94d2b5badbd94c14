package engine

import (
	"sync/atomic"
)

// A batch is in memory twice: as rows, and as the messages that its sender makes from them. So
// the size of the next batch also depends on how large the rows of the last one were.

// weight is the mean size of the rows of the last batch, in bytes; 0 if there was
// none.
type weight struct{ bytes atomic.Int64 }

// note sets the size of a row; 0 is ignored.
func (w *weight) note(size int64) {
	if size > 0 {
		w.bytes.Store(size)
	}
}

// limit returns how many rows the next batch may have: at most burst, and at most
// about bytes of memory.
func (w *weight) limit(burst int, bytes int64) int {
	row := w.bytes.Load()
	if row == 0 {
		return burst
	}
	return int(min(int64(burst), max(1, bytes/row)))
}
