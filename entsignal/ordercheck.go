package entsignal

import (
	"context"
	"fmt"
	"math"

	"github.com/entsignal/signalbus/internal/database"
)

// OrderCheck tells whether FlushOrdered of a signal is strict.
type OrderCheck struct {
	Name    string      `json:"name"`     // the signal's
	OrderBy []OrderTerm `json:"order_by"` // as in [Info]
	// OrderKey is the field whose values are ordered apart, if there is one.
	OrderKey string `json:"order_key,omitempty"`
	// Strict says that each signal is sent before all those with higher ids
	// (of the same key, if it has an OrderKey), also if its transaction is the last one to commit. It holds for signals
	// that draw their id when they are inserted, and while only FlushOrdered
	// sends them.
	Strict bool `json:"strict"`
	// Reason says why it isn't strict; it is empty if it is. FlushOrdered then
	// orders what is committed when it looks.
	Reason string `json:"reason,omitempty"`
}

// CheckOrder asks the database for which signals FlushOrdered is strict, and
// why it isn't for the others. Their first FlushOrdered logs the same as a
// warning. It has one element for each type. If a type can't be checked the
// error joins a [*FlushError] for it, and the others are returned. Options:
// Only, Exclude.
func (b *Bus) CheckOrder(ctx context.Context, opts ...FlushOption) ([]OrderCheck, error) {
	return survey(b, "CheckOrder", opts, func(t *task, _ flushOptions) ([]OrderCheck, error) {
		reason, err := t.notStrict(ctx)
		return []OrderCheck{{Name: t.Name, OrderBy: append([]OrderTerm{}, t.OrderBy...), OrderKey: t.OrderKey, Strict: reason == "", Reason: reason}}, err
	})
}

// notStrict returns why an ordered flush isn't strict now, or nothing.
func (t *task) notStrict(ctx context.Context) (string, error) {
	order, err := t.idOrder(ctx)
	if err != nil || order.Reason != "" || order.Sequence == nil {
		return order.Reason, err
	}
	w := watch{task: t, seq: order.Sequence, marks: &database.Marks{}}
	sight, err := w.look(ctx, math.MinInt64)
	if err == nil && sight.Rows && sight.Top > sight.Last {
		return foreignIDs(order.Sequence, sight), nil
	}
	return "", err
}

// idOrder tells what an ordered flush of the signal may rely on.
func (t *task) idOrder(ctx context.Context) (database.Order, error) {
	if reason := t.columns().unordered(t.OrderBy); reason != "" {
		return database.Order{Reason: reason}, nil
	}
	table := t.batch(t.meta, selection{}).Table()
	order, err := ask(ctx, t.bus, func(ctx context.Context) (database.Order, error) {
		return t.st.Order(ctx, t.st.driver, table)
	})
	if err != nil {
		return database.Order{}, fmt.Errorf("check the order: %w", err)
	}
	if t.LockOrderKey && order.Sequence != nil {
		// The ids of a key are drawn in the order of the commits. There is
		// nothing to wait for.
		return database.Order{}, nil
	}
	return order, nil
}

// unordered returns why the order has nothing to do with that in which
// signals are recorded, or nothing. terms is the order in ent fields.
func (c columns) unordered(terms []OrderTerm) string {
	switch {
	case len(c.order) > 0 && c.order[0] != OrderTerm(c.id):
		return fmt.Sprintf("it is ordered by %q first: a signal that is committed later may belong before those that were sent", terms[0])
	case !c.counted:
		return fmt.Sprintf("its ids, of type %s, are not counted up by the database", c.idType)
	default:
		return ""
	}
}

// tellNotStrict says once that the order of a signal isn't strict.
func (b *Bus) tellNotStrict(ctx context.Context, name, reason string) {
	if b.told.first("order " + name) {
		b.log.WarnContext(ctx, "the order is not strict: signals of transactions that are open at the same time may be sent in another order than that of their ids", "signal", name, "reason", reason)
	}
}
