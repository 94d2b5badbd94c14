package table

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

func TestMeanSizeOfRowsIsThatOfASample(t *testing.T) {
	assert.Zero(t, meanSize([]*heavy{}))
	rows := make([]*heavy, 250)
	for i := range rows {
		rows[i] = &heavy{Text: strings.Repeat("x", 1000)}
	}
	assert.InDelta(t, 1000, meanSize(rows), 100)
	assert.InDelta(t, 1<<20, meanSize([]*heavy{{Text: strings.Repeat("x", 1<<20)}}), 100)
}
