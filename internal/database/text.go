package database

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// textLimits are the lengths in bytes to which a text is shortened when it is tried
// again in ASCII. 0 leaves it out.
var textLimits = []int{1000, 200, 50, 0}

// inSomeForm makes changes with try. A database may reject a text because it has
// another encoding, or because the column is too short. Then the text is tried in
// ASCII, shorter each time, and finally without it, because recording the attempt
// matters more than its text. The error is that of the first try.
func inSomeForm(changes []Change, try func([]Change) error) error {
	first := try(changes)
	for last, i := first, 0; refuses(last); i++ {
		if i == len(textLimits) {
			return first
		}
		if last = try(withTexts(changes, textLimits[i])); last == nil {
			return nil
		}
	}
	return first
}

// refuses reports whether err may be about the content of a statement.
func refuses(err error) bool {
	return isAnswer(err) && !IsSerializationFailure(err) && !IsUnavailable(err)
}

// withTexts returns the changes with their texts in ASCII, each at most that many
// bytes long.
func withTexts(changes []Change, most int) []Change {
	changed := make([]Change, len(changes))
	for i, c := range changes {
		set := make([]Value, len(c.Set))
		for j, v := range c.Set {
			if text, ok := v.Value.(string); ok {
				v.Value = nil
				if most > 0 {
					v.Value = ascii(text, most)
				}
			}
			set[j] = v
		}
		c.Set = set
		changed[i] = c
	}
	return changed
}

// ascii returns a text of at most that many bytes, with all other characters
// escaped as in Go.
func ascii(text string, most int) string {
	const more = "..."
	var b strings.Builder
	cut := 0 // where there is room for more
	for _, r := range text {
		shown := string(r)
		if r >= utf8.RuneSelf {
			shown = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(shown) > most {
			return b.String()[:cut] + more
		}
		b.WriteString(shown)
		if b.Len() <= most-len(more) {
			cut = b.Len()
		}
	}
	return b.String()
}

// SameText matches the rows with exactly this text in the column. By its collation
// MySQL would also find texts in other letters of the same kind, or with spaces at
// the end.
func SameText(s *sql.Selector, column, text string) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		if s.Dialect() == dialect.MySQL {
			b.WriteString("CAST(").Ident(s.C(column)).WriteString(" AS BINARY) = CAST(").Arg(text).WriteString(" AS BINARY)")
			return
		}
		b.Ident(s.C(column)).WriteString(" = ").Arg(text)
	})
}
