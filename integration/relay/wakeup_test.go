package relay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// wire is a wake-up between buses of this process.
type wire struct {
	mu       sync.Mutex
	wakes    []func([]string)
	notified [][]string
	before   func() error
	joined   chan struct{}
}

func newWire() *wire { return &wire{joined: make(chan struct{}, 10)} }

func (w *wire) Notify(_ context.Context, signals []string) error {
	w.mu.Lock()
	w.notified = append(w.notified, signals)
	before, wakes := w.before, slices.Clone(w.wakes)
	w.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	for _, wake := range wakes {
		wake(signals)
	}
	return nil
}

func (w *wire) Listen(ctx context.Context, wake func([]string)) error {
	w.mu.Lock()
	w.wakes = append(w.wakes, wake)
	w.mu.Unlock()
	w.joined <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func (w *wire) set(before func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = before
}

func (w *wire) calls() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notified)
}

func TestCommitOfOneProcessWakesTheRelayOfAnother(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := newWire()
		writer := first(t, db, entsignal.WithWakeUp(w))
		relay := start(t, db, entsignal.WithWakeUp(w))
		relay.run(t, never)
		relay.rests(t)
		<-w.joined
		writer.inTx(t, func(tx *ent.Tx) {
			tx.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
			tx.ShipmentDue.Create().SetCustomer("x").SetNumber(1).ExecX(ctx(t))
			tx.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t)) // is sent by the commit
		})
		relay.audits.WaitFor(t, 1)
		relay.shipments.WaitFor(t, 1)
		assert.Equal(t, [][]string{{"AuditLogged", "ShipmentDue"}}, w.calls())
		assert.Equal(t, []int{1}, writer.orders.Keys())
		assert.EqualValues(t, 1, relay.bus.RunState().WakeUp.Received)
	})
}

func TestSignalWithoutASenderHereWakesAProcessThatHasOne(t *testing.T) {
	db := sqlite(t)
	w := newWire()
	relay := first(t, db, entsignal.WithWakeUp(w))
	relay.run(t, never)
	relay.rests(t)
	<-w.joined
	bus, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders(), entsignal.WithWakeUp(w))
	require.NoError(t, err)
	writer := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	writer.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
	relay.orders.WaitFor(t, 1)
	require.NoError(t, bus.Close(ctx(t)))
}

// The bus notifies at once, and then no more than every 10 ms. What comes behind a
// notification isn't lost.
func TestNotificationsAreCoalesced(t *testing.T) {
	db := sqlite(t)
	w := newWire()
	writer := first(t, db, entsignal.WithWakeUp(w))
	began := time.Now()
	for range 300 {
		writer.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
	}
	took := time.Since(began)
	require.NoError(t, writer.bus.Close(ctx(t)))
	n := len(w.calls())
	assert.LessOrEqual(t, n, int(took/(10*time.Millisecond))+2)
	assert.GreaterOrEqual(t, n, 1)
}

func TestNotifyThatFailsPanicsOrHangsHarmsNothing(t *testing.T) {
	db := sqlite(t)
	w := newWire()
	writer := first(t, db, entsignal.WithWakeUp(w))
	notified := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(w.calls()) >= n }, 20*time.Second, time.Millisecond)
	}
	w.set(func() error { return errors.New("no such channel") })
	writer.audit(t, 1)
	notified(1)
	w.set(func() error { panic("of a wake-up") })
	writer.audit(t, 1)
	notified(2)
	assert.Equal(t, 1, writer.log.Count("waking other processes failed"), "%s", &writer.log)
	w.set(nil)
	writer.audit(t, 1)
	require.Eventually(t, func() bool { return writer.log.Count("other processes are woken again") == 1 }, 20*time.Second, time.Millisecond)

	held, release := make(chan struct{}), make(chan struct{})
	w.set(func() error { close(held); <-release; return nil })
	writer.audit(t, 1)
	<-held
	for range 3 {
		writer.audit(t, 1) // no commit waits
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, writer.bus.Close(short), context.DeadlineExceeded, "the bus owns the goroutine")
	w.set(nil)
	close(release)
	require.NoError(t, writer.bus.Close(ctx(t)))
}

// provable is a wire that can be asked whether it works.
type provable struct {
	*wire
	err error
}

func (p *provable) Prove(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *provable) works(err error) {
	p.mu.Lock()
	p.err = err
	wakes := slices.Clone(p.wakes)
	p.mu.Unlock()
	for _, wake := range wakes {
		wake(nil)
	}
}

func TestPollsAreRareOnlyWhileTheWakeUpIsProvenToWork(t *testing.T) {
	db := sqlite(t)
	w := &provable{wire: newWire()}
	relay := first(t, db, entsignal.WithWakeUp(w))
	relay.run(t)
	<-w.joined
	state := func() entsignal.WakeUpState { return relay.bus.RunState().WakeUp }
	require.Eventually(t, func() bool { return state().Proven }, 20*time.Second, time.Millisecond)
	w.works(errors.New("it is a pooler"))
	require.Eventually(t, func() bool { return state().Err != nil }, 20*time.Second, time.Millisecond)
	assert.False(t, state().Proven)
	// A writer that tells nobody is found by a poll, which was to come in 30 s.
	ent.NewClient(ent.Driver(db.Driver(t))).AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
	relay.audits.WaitFor(t, 1)
	assert.Equal(t, 1, relay.log.Count("it is a pooler"), "%s", &relay.log)
	w.works(nil)
	require.Eventually(t, func() bool { return state().Proven }, 20*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return relay.log.Count("relay: the wake-up works") == 1 }, 20*time.Second, time.Millisecond)
}

// broken listens in vain.
type broken struct{ *wire }

func (broken) Listen(context.Context, func([]string)) error { panic("of a wake-up") }

func TestWakeUpThatCannotListenIsLoggedAndPolledFor(t *testing.T) {
	db := sqlite(t)
	relay := first(t, db, entsignal.WithWakeUp(broken{newWire()}))
	end := relay.run(t)
	relay.rests(t)
	ent.NewClient(ent.Driver(db.Driver(t))).AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
	relay.audits.WaitFor(t, 1)
	require.NoError(t, end())
	assert.Equal(t, 1, relay.log.Count("polling meanwhile"), "%s", &relay.log)
	assert.False(t, relay.bus.RunState().WakeUp.Proven)
	assert.True(t, relay.bus.RunState().WakeUp.Configured)
}
