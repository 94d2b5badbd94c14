package annotation

import "strings"

// descending begins a term of which the highest value comes first.
const descending = "-"

// ParseTerm returns the field of one term of an order, or the column, and whether
// the highest value comes first: then there is a "-" in front of it.
func ParseTerm(term string) (name string, desc bool) {
	return strings.CutPrefix(term, descending)
}

// Descending returns the term that orders by the field, highest first.
func Descending(name string) string { return descending + name }
