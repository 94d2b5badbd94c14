package database

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// sortedBy returns columns, written as "a -b".
func sortedBy(columns string) (all []Sorted) {
	for name := range strings.FieldsSeq(columns) {
		column, desc := strings.CutPrefix(name, "-")
		all = append(all, Sorted{column, desc})
	}
	return all
}

func TestIndexServesAnOrderThatItsColumnsHave(t *testing.T) {
	for _, c := range []struct {
		key, order, index string
		unique            bool
		want              bool
	}{
		{order: "a id", index: "a id", want: true},
		{order: "a id", index: "a id b", want: true},
		{order: "a id", index: "-a -id", want: true}, // backwards
		{order: "-a id", index: "a -id", want: true},
		{order: "-a id", index: "a id"},
		{order: "a id", index: "a -id"},
		{order: "a id", index: "a"}, // of many rows with the same value, all are sorted
		{order: "a id", index: "a", unique: true, want: true},
		{order: "a b id", index: "a", unique: true, want: true},
		{order: "a b id", index: "b a id"},
		{order: "a id", index: "b a id"},
		{order: "a id", index: "id"},
		{order: "id", index: "id", want: true},
		{order: "a id", index: ""},
		{key: "k", order: "id", index: "k id", want: true},
		{key: "k", order: "id", index: "-k id", want: true},
		{key: "k", order: "id", index: "k -id", want: true},
		{key: "k", order: "id", index: "k", want: true},
		{key: "k", order: "id", index: "id k"},
		{key: "k", order: "a id", index: "k"},
		{key: "k", order: "a id", index: "k a", want: true},
		{key: "k", order: "-a id", index: "k -a id", want: true},
		{key: "k", order: "-a id", index: "k a id"},
		{key: "k", order: "k a id", index: "k a id", want: true},
		{key: "k", order: "a id", index: ""},
	} {
		o := IndexedOrder{Key: c.key, Terms: sortedBy(c.order)}
		assert.Equal(t, c.want, o.ServedBy(Index{Columns: sortedBy(c.index), Unique: c.unique}), "%+v", c)
	}
}
