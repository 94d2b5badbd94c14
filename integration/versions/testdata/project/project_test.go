// Package project_test runs code that one version of ent has generated.
package project_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"path/filepath"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"example.com/project/ent"
	"example.com/project/ent/hook"
	"example.com/project/ent/orderplaced"
	_ "example.com/project/ent/runtime"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
)

type program struct {
	*ent.Client
	bus    *entsignal.Bus
	outbox *entsignaltest.Outbox
	lines  int // that the sender of OrderPlaced was given
}

func open(t *testing.T) *program {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	p := &program{outbox: outbox}
	entsignaltest.Intercept(outbox, func(_ context.Context, signals []*ent.OrderPlaced) error {
		for _, s := range signals {
			p.lines += len(s.Edges.Lines)
		}
		return nil
	})
	senders.OrderPlacedWith = func(q *ent.OrderPlacedQuery) { q.WithLines() }
	var err error
	p.bus, err = ent.NewSignalBus(senders, outbox.Option(),
		entsignal.WithErrorHandler(func(_ context.Context, err error) { assert.NoError(t, err, "autoflush") }))
	require.NoError(t, err)
	pool, err := stdsql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	require.NoError(t, err)
	t.Cleanup(func() { pool.Close() })
	p.Client = ent.NewClient(ent.Driver(sql.OpenDB(dialect.SQLite, pool)), ent.Log(func(...any) {}), ent.WithSignalBus(p.bus))
	require.NoError(t, p.Schema.Create(t.Context()))
	return p
}

// placed returns the numbers of the orders that were sent.
func (p *program) placed() (numbers []int) {
	for _, s := range entsignaltest.Sent[*ent.OrderPlaced](p.outbox) {
		numbers = append(numbers, s.Number)
	}
	return numbers
}

func place(c *ent.Client, number int) *ent.OrderPlacedCreate {
	return c.OrderPlaced.Create().SetNumber(number)
}

// creations create the signals 1 to 3.
var creations = map[string]func(ctx context.Context, c *ent.Client) error{
	"Create": func(ctx context.Context, c *ent.Client) error {
		for n := range 3 {
			if err := place(c, n+1).AddLines(c.Line.Create().SaveX(ctx)).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	},
	"CreateBulk": func(ctx context.Context, c *ent.Client) error {
		return c.OrderPlaced.CreateBulk(place(c, 1), place(c, 2), place(c, 3)).Exec(ctx)
	},
	"MapCreateBulk": func(ctx context.Context, c *ent.Client) error {
		return c.OrderPlaced.MapCreateBulk([]int{1, 2, 3}, func(b *ent.OrderPlacedCreate, i int) { b.SetNumber(i + 1) }).Exec(ctx)
	},
	"upserts": func(ctx context.Context, c *ent.Client) error {
		conflict := sql.ConflictColumns(orderplaced.FieldCode)
		if err := place(c, 0).SetCode("a").OnConflict(conflict).UpdateNewValues().Exec(ctx); err != nil {
			return err
		}
		if err := place(c, 1).SetCode("a").OnConflict(conflict).UpdateNewValues().Exec(ctx); err != nil {
			return err
		}
		return c.OrderPlaced.CreateBulk(place(c, 2).SetCode("b"), place(c, 3).SetCode("c")).OnConflict(conflict).UpdateNewValues().Exec(ctx)
	},
}

func TestEachWayToCreateInATransactionSendsAtTheCommit(t *testing.T) {
	for name, create := range creations {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			clients := map[string]*ent.Client{
				"client":        p.Client,
				"debug":         p.Debug(),
				"literal":       ent.NewRawClient(p.Raw()),
				"literal, hook": p.WithHooksOf(nil),
			}
			for name, c := range clients {
				tx, err := c.Tx(t.Context())
				require.NoError(t, err)
				require.NoError(t, create(t.Context(), tx.Client()), name)
				assert.Empty(t, p.placed(), "before the commit")
				require.NoError(t, tx.Commit())
				assert.ElementsMatch(t, []int{1, 2, 3}, p.placed(), name)
				p.outbox.Reset()

				tx, err = c.Tx(t.Context())
				require.NoError(t, err)
				require.NoError(t, create(t.Context(), tx.Client()), name)
				require.NoError(t, tx.Rollback())
			}
			assert.Empty(t, p.placed())
			assert.Zero(t, p.OrderPlaced.Query().CountX(t.Context()))
			if name == "Create" {
				assert.Equal(t, 3*len(clients), p.lines)
			}
		})
	}
}

func TestBulkOutsideOfATransactionIsOneBatchAndWhatAHookCreatesAnother(t *testing.T) {
	p := open(t)
	require.NoError(t, creations["Create"](t.Context(), p.Client))
	require.NoError(t, creations["CreateBulk"](t.Context(), p.WithHooksOf(nil)))
	assert.Equal(t, []int{1, 2, 3, 1, 2, 3}, p.placed())
	assert.Len(t, entsignaltest.Batches[*ent.OrderPlaced](p.outbox), 4)
	p.outbox.Reset()

	p.OrderPlaced.Use(func(next ent.Mutator) ent.Mutator {
		return hook.OrderPlacedFunc(func(ctx context.Context, m *ent.OrderPlacedMutation) (ent.Value, error) {
			v, err := next.Mutate(ctx, m)
			if n, _ := m.Number(); err == nil && n < 10 {
				m.Client().OrderPlaced.Create().SetNumber(n + 10).ExecX(ctx)
			}
			return v, err
		})
	})
	require.NoError(t, creations["CreateBulk"](t.Context(), p.Client))
	assert.Equal(t, []int{13, 12, 11, 1, 2, 3}, p.placed())
	assert.Len(t, entsignaltest.Batches[*ent.OrderPlaced](p.outbox), 4)
}

func TestFailedBulkSendsNothing(t *testing.T) {
	p := open(t)
	failed := errors.New("failed")
	p.OrderPlaced.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			if n, _ := m.Field(orderplaced.FieldNumber); n == 3 {
				return nil, failed
			}
			return next.Mutate(ctx, m)
		})
	})
	require.ErrorIs(t, creations["CreateBulk"](t.Context(), p.Client), failed)
	assert.Empty(t, p.placed())
}

func TestFlushesSendAndTransactionsJoin(t *testing.T) {
	p := open(t)
	p.StockCounted.MapCreateBulk([]int{1, 2, 3}, func(b *ent.StockCountedCreate, i int) {
		b.SetID(string(rune('a' + i))).SetNumber(i + 1)
	}).ExecX(t.Context())
	entsignaltest.None[*ent.StockCounted](p.outbox)
	n, err := p.StockCounted.FlushOrdered(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	for i, s := range entsignaltest.Sent[*ent.StockCounted](p.outbox) {
		assert.Equal(t, 3-i, s.Number)
	}

	order, err := ent.InTx(t.Context(), p.Client, func(ctx context.Context, tx *ent.Tx) (*ent.Order, error) {
		order := tx.Order.Create().SaveX(ctx)
		_, err := tx.Order.Lock(ctx, order.ID)
		require.NoError(t, err)
		return order, p.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.PriceSet.Create().SetArticle(1).SetNumber(1).Save(ctx)
			require.NoError(t, err)
			return tx.PriceSet.CreateBulk(tx.PriceSet.Create().SetArticle(1).SetNumber(2), tx.PriceSet.Create().SetArticle(2).SetNumber(3)).Exec(ctx)
		})
	})
	require.NoError(t, err)
	prices := entsignaltest.Sent[*ent.PriceSet](p.outbox)
	require.Len(t, prices, 3)
	for i, s := range prices {
		assert.Equal(t, i+1, s.Number)
	}
	require.NoError(t, order.Update().SetTotal(2).Exec(t.Context()))
	require.ErrorIs(t, p.PriceSet.Create().SetArticle(1).SetNumber(4).Exec(t.Context()), entsignal.ErrNoTx)
	_, err = p.Order.Lock(t.Context(), order.ID)
	require.ErrorIs(t, err, entsignal.ErrNoTx)

	p.bus.SetAutoFlush(false)
	mail := p.MailSent.Create().SetNumber(1).SaveX(t.Context())
	n, err = p.MailSent.Send(t.Context(), mail)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, 1, entsignaltest.One[*ent.MailSent](p.outbox).Number)
}
