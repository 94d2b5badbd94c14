package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBatchOfKeysHasTheFirstRowsOfEach(t *testing.T) {
	a, b, c := keyRows{"a", []any{1, 2}}, keyRows{"b", []any{3, 4, 5}}, keyRows{"c", []any{6}}
	batch, rest := cut([]keyRows{a, b, c}, 3)
	assert.Equal(t, []keyRows{a, {"b", []any{3}}}, batch)
	assert.Equal(t, []keyRows{{"b", []any{4, 5}}, c}, rest)
	assert.Equal(t, []keyRows{{"b", []any{3, 4, 5}}, c}, joined(batch[1:], rest), "a key stays one")
	assert.Equal(t, []keyRows{a, {"b", []any{4, 5}}, c}, joined([]keyRows{a}, rest))

	batch, rest = cut([]keyRows{a, b, c}, 10)
	assert.Equal(t, []keyRows{a, b, c}, batch)
	assert.Equal(t, []keyRows{a, b, c}, joined(batch, rest))

	long := keyRows{strings.Repeat("x", maxKeyBytes), []any{7}}
	batch, rest = cut([]keyRows{long, a, b}, 10)
	assert.Equal(t, []keyRows{long}, batch, "the statement stays short")
	assert.Equal(t, []keyRows{a, b}, rest)
}

func TestQueueGivesKeysWithAsManyRowsAsABatchHas(t *testing.T) {
	a, b, c, whole := keyRows{"a", []any{1, 2}}, keyRows{"b", []any{3, 4, 5}}, keyRows{"c", []any{6}}, keyRows{key: "d"}
	q := newKeyQueue([]keyRows{a, b, c, whole, whole})
	assert.Equal(t, 6, q.rows)
	assert.Equal(t, []keyRows{a, b}, q.take(10, 3))
	q.back([]keyRows{b})
	assert.Equal(t, []keyRows{b}, q.take(1, 100))
	assert.Equal(t, []keyRows{c}, q.take(1, 100))
	assert.Equal(t, []keyRows{whole}, q.take(10, 100), "nobody knows how many rows it has")
	assert.Equal(t, []keyRows{whole}, q.take(10, 100))
	assert.Empty(t, q.take(10, 100))
}
