package main

import (
	"context"
	"errors"

	"github.com/entsignal/signalbus/examples/transfer/ent"
)

// errTooLittle is a business error: the transaction is rolled back and not
// run again.
var errTooLittle = errors.New("not enough money on the account")

// transfer moves money, and records the signal that tells of it, or does
// neither. Whoever calls it in a transaction of their own makes it a part of
// that.
func transfer(ctx context.Context, client *ent.Client, from, to, cents int) error {
	return client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		// Locked in the order of their ids, two transfers never wait for each
		// other. If they did, one would be run again.
		first, second, err := lockBoth(ctx, tx, min(from, to), max(from, to))
		if err != nil {
			return err
		}
		payer, payee := first, second
		if payer.ID != from {
			payer, payee = second, first
		}
		if payer.Cents < cents {
			return errTooLittle
		}
		if err := payer.Update().AddCents(-cents).Exec(ctx); err != nil {
			return err
		}
		if err := payee.Update().AddCents(cents).Exec(ctx); err != nil {
			return err
		}
		return tx.MoneyMoved.Create().SetFrom(from).SetTo(to).SetCents(cents).Exec(ctx)
	})
}

func lockBoth(ctx context.Context, tx *ent.Tx, a, b int) (first, second *ent.Account, err error) {
	if first, err = tx.Account.Lock(ctx, a); err != nil {
		return nil, nil, err
	}
	second, err = tx.Account.Lock(ctx, b)
	return first, second, err
}

// balances returns what is on each account, by id.
func balances(ctx context.Context, client *ent.Client) (map[int]int, error) {
	return ent.InTx(ctx, client, func(ctx context.Context, tx *ent.Tx) (map[int]int, error) {
		all, err := tx.Account.Query().All(ctx)
		if err != nil {
			return nil, err
		}
		cents := make(map[int]int, len(all))
		for _, a := range all {
			cents[a.ID] = a.Cents
		}
		return cents, nil
	})
}
