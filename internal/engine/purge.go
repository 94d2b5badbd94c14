package engine

import (
	"context"
	"errors"

	"github.com/entsignal/signalbus/internal/budget"
)

// Purge deletes, from the inboxes of the client that the bus serves, the keys that are
// older than their retention. It returns how many that are, also with an error; an inbox
// that fails doesn't keep the others from being purged.
func (e *Engine) Purge(ctx context.Context) (total int, _ error) {
	ctx, st, done, err := e.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if e.client.Inboxes == nil {
		return 0, nil
	}
	var errs []error
	for _, in := range e.client.Inboxes() {
		for more := true; more && ctx.Err() == nil; {
			n, err := budget.Ask(ctx, e.budget, func(ctx context.Context) (n int, err error) {
				n, more, err = in.PurgeBatch(ctx, st.driver)
				return n, err
			})
			total += n
			if err != nil {
				errs = append(errs, err)
				break
			}
		}
	}
	return total, errors.Join(errs...)
}
