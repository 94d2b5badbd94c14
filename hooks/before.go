package hooks

import (
	"context"

	"entgo.io/ent/dialect"
)

// before is a driver that runs a function before its first statement. It is used
// for one creation, by one goroutine. A builder has no better place for this: it
// must know the context and what is created, and run after the hooks of the project
// and before the statement.
type before struct {
	dialect.Driver
	do func(context.Context) error // nil after the first statement
}

func (d *before) first(ctx context.Context) error {
	if d.do == nil {
		return nil
	}
	do := d.do
	d.do = nil
	return do(ctx)
}

// Exec implements [dialect.Driver].
func (d *before) Exec(ctx context.Context, query string, args, v any) error {
	if err := d.first(ctx); err != nil {
		return err
	}
	return d.Driver.Exec(ctx, query, args, v)
}

// Query implements [dialect.Driver].
func (d *before) Query(ctx context.Context, query string, args, v any) error {
	if err := d.first(ctx); err != nil {
		return err
	}
	return d.Driver.Query(ctx, query, args, v)
}

// Tx implements [dialect.Driver].
func (d *before) Tx(ctx context.Context) (dialect.Tx, error) {
	if err := d.first(ctx); err != nil {
		return nil, err
	}
	return d.Driver.Tx(ctx)
}
