package annotation

import "strings"

// descending is the prefix of a term that puts the highest value first.
const descending = "-"

// ParseTerm returns the field or column of one term of an order, and whether the
// term is descending, that is, has a "-" in front.
func ParseTerm(term string) (name string, desc bool) {
	return strings.CutPrefix(term, descending)
}

// Descending returns the descending term of the field.
func Descending(name string) string { return descending + name }
