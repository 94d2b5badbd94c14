package table

import "reflect"

// sampled is how many rows are looked at.
const sampled = 100

// meanSize estimates the bytes that one of the rows takes; 0 if there is none.
func meanSize[T any](rows []T) int64 {
	if len(rows) == 0 {
		return 0
	}
	step := (len(rows) + sampled - 1) / sampled
	var total, n int64
	for i := 0; i < len(rows); i += step {
		total += sizeOf(reflect.ValueOf(rows[i]), 0)
		n++
	}
	return max(1, total/n)
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
