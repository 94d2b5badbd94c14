package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/examples/pair/ent"
	"github.com/entsignal/signalbus/examples/pair/ent/transfer"
)

var errTooLittle = errors.New("not enough money on the account")

// send takes money from an account and records the signal that brings it to another, in
// one transaction. The payee may be at this bank too; the money takes the same way.
func (b *bank) send(ctx context.Context, from int, toBank string, to, cents int) error {
	return b.client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		payer, err := tx.Account.Lock(ctx, from)
		if err != nil {
			return err
		}
		if payer.Cents < cents {
			return errTooLittle
		}
		t, err := tx.Transfer.Create().SetFromAccount(from).SetToBank(toBank).SetToAccount(to).SetCents(cents).Save(ctx)
		if err != nil {
			return err
		}
		if err := enter(ctx, tx, payer, -cents, b.name, t.ID); err != nil {
			return err
		}
		return tx.MoneySent.Create().SetTransfer(t.ID).SetToBank(toBank).SetToAccount(to).SetCents(cents).Exec(ctx)
	})
}

// receive handles a message: exactly once, however often it comes.
func (b *bank) receive(ctx context.Context, d rabbitmq.Delivery) error {
	_, err := b.client.Received.Once(ctx, d.Key(), func(ctx context.Context, tx *ent.Tx) error {
		switch d.Type {
		case typeSent:
			return b.book(ctx, tx, d)
		case typeAnswered:
			return b.settle(ctx, tx, d)
		default:
			return entsignal.Permanent(fmt.Errorf("unknown type of message %q", d.Type))
		}
	})
	if err != nil && !entsignal.IsPermanent(err) {
		// What else fails is the database. The message may come as often as that takes.
		return entsignal.Unavailable(err)
	}
	return err
}

// book puts money on the account of the payee, and records the answer to the bank that
// sent it: the inbox, the work and the outbox in one transaction.
func (b *bank) book(ctx context.Context, tx *ent.Tx, d rabbitmq.Delivery) error {
	sent, err := decode[moneySent](d)
	if err != nil {
		return err
	}
	payee, err := tx.Account.Lock(ctx, sent.Account)
	booked := err == nil
	switch {
	case ent.IsNotFound(err): // no such account: the money goes back
	case err != nil:
		return err
	default:
		if err := enter(ctx, tx, payee, sent.Cents, d.AppID, sent.Transfer); err != nil {
			return err
		}
	}
	return tx.MoneyAnswered.Create().SetToBank(d.AppID).SetTransfer(sent.Transfer).SetBooked(booked).Exec(ctx)
}

// settle notes what became of money that this bank has sent. If it was not booked, the
// payer gets it back.
func (b *bank) settle(ctx context.Context, tx *ent.Tx, d rabbitmq.Delivery) error {
	answer, err := decode[moneyAnswered](d)
	if err != nil {
		return err
	}
	if answer.Booked {
		return tx.Transfer.UpdateOneID(answer.Transfer).SetState(transfer.StateBooked).Exec(ctx)
	}
	t, err := tx.Transfer.UpdateOneID(answer.Transfer).SetState(transfer.StateReturned).Save(ctx)
	if err != nil {
		return err
	}
	payer, err := tx.Account.Lock(ctx, t.FromAccount)
	if err != nil {
		return err
	}
	return enter(ctx, tx, payer, t.Cents, b.name, t.ID)
}

// enter changes the balance of a locked account, and writes that into the books.
func enter(ctx context.Context, tx *ent.Tx, a *ent.Account, cents int, bank string, transfer int) error {
	if err := tx.Account.UpdateOne(a).AddCents(cents).Exec(ctx); err != nil {
		return err
	}
	return tx.Entry.Create().SetAccount(a.ID).SetCents(cents).SetBank(bank).SetTransfer(transfer).Exec(ctx)
}

// settled reports whether each transfer of the bank was answered.
func (b *bank) settled(ctx context.Context) (bool, error) {
	open, err := b.client.Transfer.Query().Where(transfer.StateEQ(transfer.StateSent)).Exist(ctx)
	return !open, err
}
