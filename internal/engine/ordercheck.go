package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/option"
)

// CheckOrder asks the database for which types FlushOrdered is strict.
func (e *Engine) CheckOrder(ctx context.Context, o option.Flush) ([]entsignal.OrderCheck, error) {
	return survey(e, o, func(t *task) ([]entsignal.OrderCheck, error) {
		reason, err := t.notStrict(ctx)
		if err != nil {
			return nil, err
		}
		index, err := t.missingIndex(ctx)
		return []entsignal.OrderCheck{{
			Name: t.info.Name, OrderBy: append([]entsignal.OrderTerm{}, t.info.OrderBy...), OrderKey: t.info.OrderKey,
			Strict: reason == "", Reason: reason, MissingIndex: index,
		}}, err
	})
}

// notStrict returns why an ordered flush isn't strict now, or an empty string.
func (t *task) notStrict(ctx context.Context) (string, error) {
	order, err := t.idOrder(ctx)
	if err != nil || order.Reason != "" || order.Sequence == nil {
		return order.Reason, err
	}
	w := watch{task: t, seq: order.Sequence, history: &database.History{}}
	mark, err := w.watermark(ctx, math.MinInt64)
	if err == nil && mark.Rows && mark.Top > mark.Last {
		return notDrawn(order.Sequence, mark), nil
	}
	return "", err
}

// idOrder returns what an ordered flush of the type can rely on.
func (t *task) idOrder(ctx context.Context) (database.Order, error) {
	if reason := t.Columns().Unordered(t.info.OrderBy); reason != "" {
		return database.Order{Reason: reason}, nil
	}
	table := t.Table()
	order, err := budget.Ask(ctx, t.engine.budget, func(ctx context.Context) (database.Order, error) {
		return t.st.Order(ctx, t.st.driver, table)
	})
	if err != nil {
		return database.Order{}, fmt.Errorf("check the order: %w", err)
	}
	if t.info.LockOrderKey && order.Sequence != nil {
		// The ids of a key are drawn in the order of the commits, so there is nothing to wait
		// for.
		return database.Order{}, nil
	}
	return order, nil
}

// logNotStrict logs once that the order of a type isn't strict.
func (e *Engine) logNotStrict(ctx context.Context, name, reason string) {
	if e.logged.first("order " + name) {
		e.log.WarnContext(ctx, "the order is not strict: signals of transactions that are open at the same time may be sent in another order than that of their ids", "signal", name, "reason", reason)
	}
}
