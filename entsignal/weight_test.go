package entsignal

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

type heavy struct {
	client  *heavy
	ID      int
	Text    string
	Raw     []byte
	Labels  map[string]string
	Any     any
	At      time.Time
	Edges   struct{ Children []*heavy }
	Missing *string
}

func TestSizeOfARowIsThatOfItsFieldsAndEdges(t *testing.T) {
	kilo := strings.Repeat("x", 1000)
	row := &heavy{ID: 1, Text: kilo, Raw: []byte(kilo), Labels: map[string]string{kilo: kilo}, Any: []any{kilo, 1}}
	row.client = &heavy{Text: strings.Repeat(kilo, 100)}
	assert.InDelta(t, 5000, sizeOf(reflect.ValueOf(row), 0), 100)
	child := &heavy{Text: kilo}
	row.Edges.Children = []*heavy{child, child}
	assert.InDelta(t, 7000, sizeOf(reflect.ValueOf(row), 0), 100)
	child.Edges.Children = []*heavy{child} // it ends
	assert.Positive(t, sizeOf(reflect.ValueOf(row), 0))
	assert.Zero(t, sizeOf(reflect.ValueOf((*heavy)(nil)), 0))
}

func TestBatchesShrinkWithTheSizeOfTheirRows(t *testing.T) {
	var w weight
	assert.Equal(t, 500, w.limit(500, defaultBatchBytes), "nothing is known yet")
	small := make([]*heavy, 250)
	for i := range small {
		small[i] = &heavy{}
	}
	weigh(&w, small)
	assert.Equal(t, 500, w.limit(500, defaultBatchBytes))
	weigh(&w, []*heavy{})
	assert.Equal(t, 500, w.limit(500, defaultBatchBytes), "an empty batch says nothing")
	weigh(&w, []*heavy{{Text: strings.Repeat("x", 1<<20)}})
	assert.InDelta(t, 64, w.limit(500, defaultBatchBytes), 1)
	assert.Equal(t, 1, w.limit(500, 1000), "one row goes, however large it is")
}
