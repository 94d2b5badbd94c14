package txn

import (
	"fmt"
	"strings"
)

// rowOf returns a name for what a statement writes or locks, if it can be seen: the
// table and the arguments of its WHERE. So all statements of ent's builders about
// one entity have the same name, whatever they set. Other statements about the same
// rows may have another name; that only costs a lost try.
func rowOf(query string, args []any) (string, bool) {
	head, _, ok := strings.Cut(query, " WHERE ")
	if !ok {
		return "", false
	}
	verb, rest, _ := strings.Cut(head, " ")
	switch strings.ToUpper(verb) {
	case "UPDATE":
	case "SELECT":
		if !locks(query) {
			return "", false
		}
		fallthrough
	case "DELETE":
		if _, rest, ok = strings.Cut(" "+rest, " FROM "); !ok {
			return "", false
		}
	default:
		return "", false
	}
	// PostgreSQL numbers its placeholders, the others don't.
	set := strings.Count(head, "?") + strings.Count(head, "$")
	if set >= len(args) {
		return "", false
	}
	table, _, _ := strings.Cut(rest, " ")
	return unquote.Replace(table) + fmt.Sprint(args[set:]), true
}

var unquote = strings.NewReplacer(`"`, "", "`", "")

// locks reports whether a SELECT locks what it reads.
func locks(query string) bool {
	return strings.Contains(query, " FOR UPDATE") || strings.Contains(query, " FOR NO KEY UPDATE") ||
		strings.Contains(query, " FOR SHARE") || strings.Contains(query, " LOCK IN SHARE MODE")
}
