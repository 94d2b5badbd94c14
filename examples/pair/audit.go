package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/entsignal/signalbus/examples/pair/ent"
	"github.com/entsignal/signalbus/examples/pair/ent/transfer"
)

// ledger is what the books of a bank say.
type ledger struct {
	balance   int // of all accounts, in cents
	transfers []*ent.Transfer
	entries   []*ent.Entry
}

// audit reads the books of both banks and prints what they say. It returns an error if
// money was made or lost.
func audit(ctx context.Context, log *slog.Logger, out io.Writer) (err error) {
	books := make(map[string]ledger)
	for _, name := range []string{north, south} {
		b, err := open(log, name)
		if err != nil {
			return err
		}
		books[name], err = b.books(ctx)
		if err := errors.Join(err, b.close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return compare(books, out)
}

func (b *bank) books(ctx context.Context) (ledger, error) {
	return ent.InTx(ctx, b.client, func(ctx context.Context, tx *ent.Tx) (l ledger, err error) {
		all, err := tx.Account.Query().All(ctx)
		if err != nil {
			return l, err
		}
		for _, a := range all {
			l.balance += a.Cents
		}
		if l.transfers, err = tx.Transfer.Query().All(ctx); err != nil {
			return l, err
		}
		l.entries, err = tx.Entry.Query().All(ctx)
		return l, err
	})
}

// order identifies a transfer.
type order struct {
	bank string
	id   int
}

// compare counts how often each transfer was applied: -1 when it was sent and nothing
// came of it yet, 0 when it was booked once, or returned once.
func compare(books map[string]ledger, out io.Writer) error {
	applied := make(map[order]int)
	total, open := 0, 0
	for _, name := range []string{north, south} {
		l := books[name]
		total += l.balance
		states := make(map[transfer.State]int)
		for _, t := range l.transfers {
			states[t.State]++
			applied[order{name, t.ID}]--
		}
		open += states[transfer.StateSent]
		for _, e := range l.entries {
			if e.Cents > 0 {
				applied[order{e.Bank, e.Transfer}]++
			}
		}
		fmt.Fprintf(out, "%s: %d transfers: %d booked, %d returned, %d under way; %s on its accounts\n", name, len(l.transfers),
			states[transfer.StateBooked], states[transfer.StateReturned], states[transfer.StateSent], money(l.balance))
	}
	var missing, again int
	for _, n := range applied {
		missing += max(-n, 0)
		again += max(n, 0)
	}
	fmt.Fprintf(out, "both: %s, and %s at the beginning; %d transfers applied more than once, %d not at all\n",
		money(total), money(2*accounts*start), again, missing)
	switch {
	case open > 0:
		return errors.New("the books can't be compared while money is under way")
	case again > 0 || missing > 0 || total != 2*accounts*start:
		return errors.New("the books don't agree")
	default:
		return nil
	}
}

func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
