package ids_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/ids/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a client with its bus, and what was sent.
type app struct {
	*ent.Client
	bus  *entsignal.Bus
	sent *recorder
	errs chan error
}

func open(t *testing.T, db *testdb.DB) *app {
	t.Helper()
	a := &app{sent: &recorder{}, errs: make(chan error, 1000)}
	var err error
	a.bus, err = ent.NewSignalBus(senders(a.sent), entsignal.WithErrorHandler(func(_ context.Context, err error) { a.errs <- err }))
	require.NoError(t, err)
	a.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(a.bus))
	db.CreateTables(t, func(w io.Writer) error { return a.Schema.WriteTo(ctx(t), w) })
	t.Cleanup(func() { assert.NoError(t, a.bus.Close(context.Background())) })
	return a
}

// record creates signals with these numbers in a transaction.
func (a *app) record(t *testing.T, k kind, numbers ...int) {
	t.Helper()
	tx, err := a.Tx(ctx(t))
	require.NoError(t, err)
	require.NoError(t, k.create(ctx(t), tx.Client(), numbers))
	require.NoError(t, tx.Commit())
}

// leave creates signals with these numbers that stay pending.
func (a *app) leave(t *testing.T, k kind, numbers ...int) {
	t.Helper()
	a.bus.SetAutoFlush(false)
	defer a.bus.SetAutoFlush(true)
	a.record(t, k, numbers...)
}

func (a *app) pending(t *testing.T, k kind) int {
	t.Helper()
	counts, err := a.bus.Pending(ctx(t), entsignal.Only(k.name))
	require.NoError(t, err)
	return counts[0].Count
}

// noErrors asserts that no autoflush failed.
func (a *app) noErrors(t *testing.T) {
	t.Helper()
	select {
	case err := <-a.errs:
		t.Error(err)
	default:
	}
}

// ctx returns a context that ends a test that hangs.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

// recorder keeps what was sent.
type recorder struct {
	mu      sync.Mutex
	numbers []int
	ids     map[string]bool // all texts of ids that were seen
	twice   []string        // texts of ids of two signals in one batch
	refuse  int             // the number of a signal to be refused
}

// take returns the numbers that were sent since the last call, sorted.
func (r *recorder) take() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	numbers := r.numbers
	r.numbers = nil
	return numbers
}

func (r *recorder) takeSorted() []int {
	numbers := r.take()
	slices.Sort(numbers)
	return numbers
}

// refusing makes the senders refuse the signal with the number; 0 is none.
func (r *recorder) refusing(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = n
}

var errRefused = errors.New("refused")

// record returns a sender that tells the recorder.
func record[T any](r *recorder, number func(T) int) entsignal.Sender[T] {
	return func(ctx context.Context, signals []T) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		batch, _ := entsignal.BatchFromContext(ctx)
		seen := make(map[string]bool)
		result := &entsignal.BatchError{Errors: make([]error, len(signals))}
		failed := false
		for i, s := range signals {
			id := batch.Items[i].ID
			if seen[id] {
				r.twice = append(r.twice, id)
			}
			seen[id] = true
			switch {
			case number(s) == r.refuse:
				result.Errors[i], failed = errRefused, true
				continue
			case failed && batch.Mode == entsignal.ModeFlushOrdered:
				result.Errors[i] = entsignal.ErrNotTried
				continue
			}
			r.numbers = append(r.numbers, number(s))
		}
		if failed {
			return result
		}
		return nil
	}
}

// eachKind runs a test for each type of id on each database.
func eachKind(t *testing.T, test func(t *testing.T, a *app, k kind)) {
	t.Helper()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		a := open(t, db)
		for _, k := range allKinds {
			t.Run(k.name, func(t *testing.T) { test(t, a, k) })
		}
		assert.Empty(t, a.sent.twice, "a text is one id's")
	})
}

func TestSignalsWithIDsOfAnyTypeAreSentByEachFlush(t *testing.T) {
	t.Parallel()
	numbers := []int{1, 2, 3, 4, 5, 6, 7}
	eachKind(t, func(t *testing.T, a *app, k kind) {
		only := entsignal.Only(k.name)
		for _, c := range []struct {
			how  string
			send func() (int, error)
		}{
			{"Flush", func() (int, error) { return a.bus.Flush(ctx(t), only, entsignal.Wait(0)) }},
			{"Flush in one burst", func() (int, error) { return a.bus.Flush(ctx(t), only, entsignal.Wait(0), entsignal.Burst(100)) }},
			{"FlushMany", func() (int, error) { return a.bus.FlushMany(ctx(t), only) }},
			{"FlushMany, one at a time", func() (int, error) { return a.bus.FlushMany(ctx(t), only, entsignal.Burst(1)) }},
			{"FlushMany with workers", func() (int, error) { return a.bus.FlushMany(ctx(t), only, entsignal.Workers(3)) }},
			{"FlushOrdered", func() (int, error) { return a.bus.FlushOrdered(ctx(t), only) }},
			{"FlushOrdered, one at a time", func() (int, error) { return a.bus.FlushOrdered(ctx(t), only, entsignal.Burst(1)) }},
			{"Send", func() (int, error) { return k.send(ctx(t), a.Client, numbers) }},
		} {
			a.leave(t, k, numbers...)
			assert.Equal(t, len(numbers), a.pending(t, k))
			n, err := c.send()
			require.NoError(t, err, c.how)
			assert.Equal(t, len(numbers), n, c.how)
			sent := a.sent.take()
			if c.how == "Send" {
				assert.Equal(t, numbers, sent, "in the order in which they were given")
			}
			slices.Sort(sent)
			assert.Equal(t, numbers, sent, c.how)
			assert.Zero(t, a.pending(t, k), c.how)
		}
	})
}

func TestSignalsWithIDsOfAnyTypeAreSentByCommits(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, a *app, k kind) {
		a.record(t, k, 1)
		a.record(t, k, 2, 3, 4)
		assert.Equal(t, []int{1, 2, 3, 4}, a.sent.take(), "in the order of their creation")
		require.NoError(t, k.create(ctx(t), a.Client, []int{5, 6}), "outside of a transaction")
		assert.Equal(t, []int{5, 6}, a.sent.take())

		var commits sync.WaitGroup
		var want []int
		for i := 1; i <= 20; i++ {
			want = append(want, 10*i, 10*i+1)
			commits.Go(func() {
				tx, err := a.Tx(ctx(t))
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, k.create(ctx(t), tx.Client(), []int{10 * i, 10*i + 1}))
				assert.NoError(t, tx.Commit())
			})
		}
		commits.Wait()
		assert.Equal(t, want, a.sent.takeSorted(), "in batches that commits share")
		assert.Zero(t, a.pending(t, k))
		a.noErrors(t)
	})
}

func TestSignalsWithIDsOfAnyTypeAreRetriedAndDiscardedByTheTextOfTheID(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, a *app, k kind) {
		only := entsignal.Only(k.name)
		fail := func() string {
			a.sent.refusing(2)
			defer a.sent.refusing(0)
			a.leave(t, k, 1, 2, 3)
			n, err := a.bus.FlushMany(ctx(t), only)
			require.ErrorIs(t, err, errRefused)
			assert.Equal(t, 2, n)
			assert.Equal(t, []int{1, 3}, a.sent.takeSorted())
			failed, err := a.bus.Failed(ctx(t), only)
			require.NoError(t, err)
			require.Len(t, failed, 1)
			assert.True(t, failed[0].Dead)
			return failed[0].ID
		}
		id := fail()
		assert.NotContains(t, id, "{", "of a text, and not of Go's inside")
		_, err := a.bus.FlushOrdered(ctx(t), only)
		var blocked *entsignal.BlockedError
		require.ErrorAs(t, err, &blocked)
		assert.Equal(t, id, blocked.ID)
		n, err := a.bus.Retry(ctx(t), k.name, id)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		n, err = a.bus.FlushOrdered(ctx(t), only)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []int{2}, a.sent.take())

		fail()
		n, err = a.bus.RetryAll(ctx(t), k.name)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		n, err = a.bus.FlushMany(ctx(t), only)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []int{2}, a.sent.take())

		id = fail()
		n, err = a.bus.Discard(ctx(t), k.name, id)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Zero(t, a.pending(t, k))
		_, err = a.bus.Discard(ctx(t), k.name, "{")
		if k.name == ent.TypeReferred || k.name == ent.TypeRaw { // any text may be one
			return
		}
		var invalid *entsignal.InvalidIDError
		assert.ErrorAs(t, err, &invalid)
	})
}

func TestEntityWithAnIDOfAnyTypeIsLocked(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, a *app, k kind) {
		a.leave(t, k, 1, 2)
		tx, err := a.Tx(ctx(t))
		require.NoError(t, err)
		assert.NoError(t, k.lock(ctx(t), tx))
		require.NoError(t, tx.Rollback())
	})
}

func TestIDsThatTheDatabaseCountsAreInOrderWhateverGoMakesOfThem(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		a := open(t, db)
		checks, err := a.bus.CheckOrder(ctx(t), entsignal.Only(ent.TypeCounted))
		require.NoError(t, err)
		if strings.Contains(checks[0].Reason, "MySQL") {
			return
		}
		assert.True(t, checks[0].Strict, checks[0].Reason)
	})
}
