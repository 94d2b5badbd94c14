// Package quote writes ids into error texts.
package quote

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// most bounds the text of an id in an error, in bytes.
const most = 100

// ID returns the text of an id for an error: as it is if it is plain, else quoted,
// because a text from outside could forge lines of a log, and cut.
func ID(id string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./@+", r)
	}
	cut := id
	for len(cut) > most {
		_, size := utf8.DecodeLastRuneInString(cut)
		cut = cut[:len(cut)-size]
	}
	switch {
	case cut != id:
		return strconv.Quote(cut) + "…"
	case id == "" || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }):
		return strconv.Quote(id)
	}
	return id
}
