package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// withService runs command with the service and closes it.
func withService(log *slog.Logger, command func(*service) error) error {
	s, err := open(log)
	if err != nil {
		return err
	}
	return errors.Join(command(s), s.close())
}

// setup creates what is missing. It may run again.
func setup(ctx context.Context, s *service, stdout io.Writer) error {
	if err := s.client.Schema.Create(ctx); err != nil {
		return fmt.Errorf("create the tables: %w", err)
	}
	if err := declare(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "tables, exchange, queue and binding are ready")
	return nil
}

// place places n orders.
func place(ctx context.Context, s *service, n uint, stdout io.Writer) error {
	for i := range n {
		customer, cents := fmt.Sprintf("customer %d", i+1), 100*int(i+1)
		order, err := placeOrder(ctx, s.client, customer, cents)
		if err != nil {
			return fmt.Errorf("place order %d of %d: %w", i+1, n, err)
		}
		fmt.Fprintf(stdout, "placed order %d\n", order.ID)
	}
	pending, err := s.client.OrderPlaced.Query().Count(ctx)
	if err != nil {
		return err
	}
	if pending > 0 {
		fmt.Fprintf(stdout, "%d pending; send with: orders signalbus flush\n", pending)
	}
	return nil
}
