package hooks

import (
	"context"
	"runtime"
	"testing"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
)

// BenchmarkCollect is what the library adds to the creation of one signal: its
// hook, and the collector of its transaction, which creates 10,000 of them and
// commits. There is no database, and the bus sends nothing. Its metrics are of
// one signal.
func BenchmarkCollect(b *testing.B) {
	for name, group := range map[string]func(n int) *Group{
		"Create":     func(int) *Group { return nil },
		"CreateBulk": NewGroup,
	} {
		b.Run(name, func(b *testing.B) { benchmarkCollect(b, group) })
	}
}

func benchmarkCollect(b *testing.B, group func(n int) *Group) {
	const signals = 10000
	bus, err := NewBus(nil)
	if err != nil {
		b.Fatal(err)
	}
	bus.SetAutoFlush(false)
	c := NewClient[benchTx](benchTxs{})
	c.Bind(bus, BusClient{Driver: func() dialect.Driver { return &benchTx{} }})
	noDatabase := ent.MutateFunc(func(context.Context, ent.Mutation) (ent.Value, error) { return nil, nil })
	create := c.OnCreate("Event", func(m ent.Mutation) (Mutation, bool) {
		mutation, ok := m.(*benchMutation)
		return Mutation{Driver: mutation.tx, ID: mutation.id, HasID: true, Bulk: mutation.group}, ok
	})(noDatabase)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rounds := 0
	for b.Loop() {
		rounds++
		tx := &benchTx{}
		m := &benchMutation{tx: tx, group: group(signals)}
		for m.id = range signals {
			if _, err := create.Mutate(b.Context(), m); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.commit(b.Context(), func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	all := float64(rounds * signals)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/all, "ns/signal")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/all, "allocs/signal")
}

// benchMutation is the creation of one signal.
type benchMutation struct {
	ent.Mutation
	tx    *benchTx
	id    int
	group *Group
}

func (*benchMutation) Op() ent.Op { return ent.OpCreate }

// benchTx is a transaction without a database.
type benchTx struct {
	dialect.Driver
	commit func(ctx context.Context, next func() error) error
}

func (*benchTx) Commit() error   { return nil }
func (*benchTx) Rollback() error { return nil }

// benchTxs are the transactions of a generated package, as far as a hook asks.
type benchTxs struct {
	Transactions[benchTx, *benchTx]
}

func (benchTxs) Inner(*benchTx) dialect.Tx { return nil }

func (benchTxs) Watch(tx *benchTx, commit func(context.Context, func() error) error, _ func()) {
	tx.commit = commit
}
