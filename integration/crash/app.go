package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/crash/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// onlyStopped reports whether err says no more than that the bus was closed
// meanwhile.
func onlyStopped(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the walk itself
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !onlyStopped(err) })
	}
	if inner := errors.Unwrap(err); inner != nil {
		return onlyStopped(inner)
	}
	return errors.Is(err, entsignal.ErrClosed) || errors.Is(err, entsignal.ErrBusy)
}

// keys is how many keys are updated. Few, so that transactions meet.
const keys = 20

// app is the application whose processes are killed.
type app struct {
	mode   Mode
	pub    *rabbitmq.Publisher
	bus    *entsignal.Bus
	client *ent.Client
	hold   time.Duration // for how long at most a transaction stays open when it is done
}

// open opens the application. tell gets what happens to its batches and to the
// autoflushes of its commits.
func open(mode Mode, db *testdb.DB, broker, queue string, tell func(report)) (*app, error) {
	pub, err := rabbitmq.NewPublisher(broker, rabbitmq.WithConfirmTimeout(3*time.Second))
	if err != nil {
		return nil, err
	}
	opts := []entsignal.BusOption{entsignal.WithErrorHandler(func(ctx context.Context, err error) {
		if id, ok := callOf(ctx); ok && !onlyStopped(err) {
			tell(report{batchID: batchID{callID: id}, Error: err.Error()})
		}
	})}
	if mode.async {
		opts = append(opts, entsignal.WithAsync(1000))
	}
	bus, err := ent.NewSignalBus((&publication{pub: pub, queue: queue, tell: tell}).senders(), opts...)
	if err != nil {
		return nil, err
	}
	bus.SetAutoFlush(mode.autoFlush)
	driver, err := db.Connect()
	if err != nil {
		return nil, err
	}
	return &app{mode: mode, pub: pub, bus: bus, client: ent.NewClient(ent.Driver(driver), ent.WithSignalBus(bus))}, nil
}

// close lets the batches in hand finish.
func (a *app) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return errors.Join(a.bus.Close(ctx), a.pub.Close(ctx), a.client.Close())
}

// update runs one transaction: it updates a key, mostly once, and records it.
// entry returns a new id of the ledger.
func (a *app) update(ctx context.Context, rng *rand.Rand, entry func() string) error {
	tx, err := a.client.Tx(ctx)
	if err != nil {
		return err
	}
	key, times, rollback := rng.IntN(keys)+1, 1, rng.IntN(10) == 0
	if rng.IntN(5) == 0 {
		times = 3
	}
	if err := a.record(ctx, tx, key, times, entry); err != nil || rollback {
		return errors.Join(err, tx.Rollback())
	}
	if rng.IntN(2) == 0 { // so that transactions don't commit in the order of their ids
		pause(ctx, time.Duration(rng.Int64N(int64(a.hold)+1)))
	}
	return tx.Commit()
}

// record locks the key before it draws the ids of the signals, so that both
// count the updates of a key alike.
func (a *app) record(ctx context.Context, tx *ent.Tx, key, times int, entry func() string) error {
	row, err := tx.Key.UpdateOneID(key).AddN(times).Save(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, times)
	for i := range ids {
		ids[i] = entry()
	}
	n := func(i int) int { return row.N - times + i + 1 }
	if err := tx.Entry.MapCreateBulk(ids, func(c *ent.EntryCreate, i int) { c.SetID(ids[i]) }).Exec(ctx); err != nil {
		return err
	}
	switch a.mode.signal {
	case ent.TypePosted:
		return tx.Posted.MapCreateBulk(ids, func(c *ent.PostedCreate, i int) { c.SetEntry(ids[i]).SetKey(key).SetN(n(i)) }).Exec(ctx)
	case ent.TypeMoved:
		return tx.Moved.MapCreateBulk(ids, func(c *ent.MovedCreate, i int) { c.SetEntry(ids[i]).SetKey(key).SetN(n(i)) }).Exec(ctx)
	default:
		return tx.Changed.MapCreateBulk(ids, func(c *ent.ChangedCreate, i int) { c.SetEntry(ids[i]).SetKey(key).SetN(n(i)) }).Exec(ctx)
	}
}

// flush runs one flush of the mode.
func (a *app) flush(ctx context.Context, burst int) (int, error) {
	return a.mode.flush(ctx, a.bus, entsignal.Only(a.mode.signal), entsignal.Burst(burst))
}

// maxBurst is the highest burst count of a flush.
const maxBurst = 500

// pending returns how many signals wait.
func (a *app) pending(ctx context.Context) (int, error) {
	counts, err := a.bus.Pending(ctx, entsignal.Only(a.mode.signal))
	if err != nil {
		return 0, err
	}
	if len(counts) != 1 {
		return 0, fmt.Errorf("%d counts of one signal", len(counts))
	}
	return counts[0].Count, nil
}
