package entsignal

import (
	"reflect"
	"sync/atomic"
)

// A batch is held in memory, and once more as the messages that its sender makes
// of it. So how many rows the next one has also depends on how large those of the
// last one were.

const (
	// defaultBatchBytes is about how much memory the rows of a batch take.
	defaultBatchBytes = 64 << 20
	// weighedRows is how many rows of a batch are looked at.
	weighedRows = 100
)

// weight is the mean size of the rows of the last batch, in bytes; 0: there was
// none.
type weight struct{ bytes atomic.Int64 }

// limit returns how many rows the next batch may have, if burst is the most and
// they take up to so many bytes.
func (w *weight) limit(burst int, bytes int64) int {
	row := w.bytes.Load()
	if row == 0 {
		return burst
	}
	return int(min(int64(burst), max(1, bytes/row)))
}

// weigh notes the size of rows.
func weigh[T any](w *weight, rows []T) {
	if len(rows) == 0 {
		return
	}
	step := (len(rows) + weighedRows - 1) / weighedRows
	var total, n int64
	for i := 0; i < len(rows); i += step {
		total += sizeOf(reflect.ValueOf(rows[i]), 0)
		n++
	}
	w.bytes.Store(max(1, total/n))
}

// maxDepth ends the walk through entities that lead to each other.
const maxDepth = 8

// sizeOf estimates the bytes that a value of an entity takes with all that it
// leads to. Fields that aren't exported lead to the client.
func sizeOf(v reflect.Value, depth int) (size int64) {
	if depth > maxDepth {
		return 0
	}
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return sizeOf(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		if elem := v.Type().Elem(); elem.Kind() <= reflect.Complex128 {
			return int64(v.Len()) * int64(elem.Size())
		}
		for i := range v.Len() {
			size += sizeOf(v.Index(i), depth+1)
		}
		return size
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			size += sizeOf(entries.Key(), depth+1) + sizeOf(entries.Value(), depth+1)
		}
		return size
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				size += sizeOf(v.Field(i), depth+1)
			}
		}
		return size
	default:
		return int64(v.Type().Size())
	}
}
