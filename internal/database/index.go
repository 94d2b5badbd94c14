package database

import "slices"

// An Index is an index of a table: no part of the rows is left out, and each column
// is indexed as a whole.
type Index struct {
	Columns []Sorted
	Unique  bool
}

// Sorted is a column by which rows are sorted.
type Sorted struct {
	Column string
	Desc   bool
}

// An IndexedOrder is what an index of an ordered signal has to serve.
type IndexedOrder struct {
	Key   string   // the column of the OrderKey; empty if there is none
	Terms []Sorted // the last one is the id
}

// Columns returns the columns of an index that serves the order.
func (o IndexedOrder) Columns() []Sorted {
	if o.Key == "" {
		return o.Terms
	}
	key := Sorted{Column: o.Key}
	return append([]Sorted{key}, slices.DeleteFunc(slices.Clone(o.Terms), func(t Sorted) bool { return t.Column == o.Key })...)
}

// ServedBy reports whether the first rows in the order, or of a key, can be read
// from the index without reading others. The id may be missing if the columns before
// it are unique, and behind a key, of which there are only a few rows.
func (o IndexedOrder) ServedBy(x Index) bool {
	want := o.Columns()
	var flipped bool // the index is read backwards
	for i, term := range want {
		if i == len(x.Columns) {
			return x.Unique || o.Key != "" && i > 0 && i == len(want)-1
		}
		has := x.Columns[i]
		differs := has.Desc != term.Desc
		switch {
		case has.Column != term.Column:
			return false
		case i == 0 && o.Key != "": // all rows that are read have the same value
		case i == 0 || i == 1 && o.Key != "":
			flipped = differs
		case differs != flipped:
			return false
		}
	}
	return true
}
