// Package quote formats ids for error texts.
package quote

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// most is the maximum size of an id's text in an error, in bytes.
const most = 100

// ID returns the text of an id for an error: unchanged if it is plain, otherwise
// shortened and quoted, because a foreign text could forge log lines.
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
