package engine

import (
	"context"
	"errors"
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
		n, err := in.Purge(ctx, st.driver)
		total += n
		errs = append(errs, err)
	}
	return total, errors.Join(errs...)
}
