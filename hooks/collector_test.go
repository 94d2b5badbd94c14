package hooks

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/engine"
)

func TestCollectorIsTakenOnce(t *testing.T) {
	var c collector
	c.add(engine.Created{Signal: "A", ID: 1}, engine.Created{Signal: "B", ID: 2})
	c.addLate(
		late{"C", func() (any, bool) { return 3, true }},
		late{"C", func() (any, bool) { return nil, false }}) // was not created in the end
	assert.Equal(t, []engine.Created{{Signal: "A", ID: 1}, {Signal: "B", ID: 2}, {Signal: "C", ID: 3}}, c.take())
	assert.Empty(t, c.take())
}

func TestTransactionHasOneCollector(t *testing.T) {
	var cs collectors[fakeTx]
	tx := &fakeTx{}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		news int
	)
	for range 20 {
		all.Go(func() {
			c, isNew := cs.of(tx)
			c.add(engine.Created{})
			mu.Lock()
			defer mu.Unlock()
			if isNew {
				news++
			}
		})
	}
	all.Wait()
	assert.Equal(t, 1, news)
	c, isNew := cs.of(tx)
	assert.False(t, isNew)
	assert.Len(t, c.take(), 20)
	_, isNew = cs.of(&fakeTx{})
	assert.True(t, isNew)
	runtime.KeepAlive(tx)
}

// One whose context ended is rolled back by database/sql, which runs no hook.
func TestAbandonedTransactionLeavesNoCollector(t *testing.T) {
	var cs collectors[fakeTx]
	for range 10 {
		cs.of(&fakeTx{})
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		cs.mu.Lock()
		defer cs.mu.Unlock()
		return len(cs.m) == 0
	}, time.Minute, time.Millisecond)
}
