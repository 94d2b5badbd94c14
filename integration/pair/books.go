package pair

import (
	"context"
	"database/sql"
	"fmt"
)

// begin is what is on each account at the beginning, in cents.
const begin = 100_000

// Verdict is what the books of both banks say.
type Verdict struct {
	Transfers, Booked, Returned int

	Lost  int // transfers that neither arrived nor came back, or whose bank doesn't know
	Twice int // entries that a transfer has beyond those that it must have
	Wrong int // cents by which accounts differ from the sum of their entries
	Sum   int // cents that both banks have too many (or, negative, too few)
	Dead  int // messages that could not be handled
}

// Violations says what is wrong.
func (v Verdict) Violations() (all []string) {
	for _, c := range []struct {
		n    int
		what string
	}{
		{v.Lost, "%d transfers are lost"},
		{v.Twice, "%d entries are there again"},
		{v.Wrong, "accounts differ from their entries by %d cents"},
		{v.Sum, "the sum has changed by %d cents"},
		{v.Dead, "%d messages were rejected"},
	} {
		if c.n != 0 {
			all = append(all, fmt.Sprintf(c.what, c.n))
		}
	}
	return all
}

// transferKey identifies a transfer.
type transferKey struct {
	bank string
	id   int
}

type transfer struct {
	transferKey
	from, to, cents int
	toBank, state   string
}

// entry is a line of the books: of which bank, for which transfer.
type entry struct {
	transferKey
	at             string
	account, cents int
}

type books struct {
	balances  map[string]map[int]int // by bank and account
	transfers []transfer
	entries   []entry
}

// read adds the books of a bank.
func (b *books) read(ctx context.Context, db *sql.DB, bank string) error {
	b.balances[bank] = make(map[int]int)
	err := rows(ctx, db, "SELECT id, cents FROM accounts", func(scan func(...any) error) error {
		var id, cents int
		err := scan(&id, &cents)
		b.balances[bank][id] = cents
		return err
	})
	if err != nil {
		return err
	}
	err = rows(ctx, db, "SELECT id, from_account, to_bank, to_account, cents, state FROM transfers", func(scan func(...any) error) error {
		t := transfer{transferKey: transferKey{bank: bank}}
		err := scan(&t.id, &t.from, &t.toBank, &t.to, &t.cents, &t.state)
		b.transfers = append(b.transfers, t)
		return err
	})
	if err != nil {
		return err
	}
	return rows(ctx, db, "SELECT account, cents, bank, transfer FROM entries", func(scan func(...any) error) error {
		e := entry{at: bank}
		err := scan(&e.account, &e.cents, &e.bank, &e.id)
		b.entries = append(b.entries, e)
		return err
	})
}

func rows(ctx context.Context, db *sql.DB, query string, each func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// judge compares the entries with those that the transfers must have.
func (b *books) judge() (v Verdict) {
	found := make(map[entry]int)
	sums := make(map[string]map[int]int)
	for bank := range b.balances {
		sums[bank] = make(map[int]int)
	}
	for _, e := range b.entries {
		found[e]++
		sums[e.at][e.account] += e.cents
	}
	v.Transfers = len(b.transfers)
	for _, t := range b.transfers {
		must := []entry{{t.transferKey, t.bank, t.from, -t.cents}}
		switch t.state {
		case "booked":
			v.Booked++
			must = append(must, entry{t.transferKey, t.toBank, t.to, t.cents})
		case "returned":
			v.Returned++
			must = append(must, entry{t.transferKey, t.bank, t.from, t.cents})
		default:
			v.Lost++
		}
		for _, e := range must {
			if found[e]--; found[e] < 0 {
				v.Lost++
			}
		}
	}
	for _, n := range found {
		v.Twice += max(n, 0)
	}
	for bank, accounts := range b.balances {
		for id, cents := range accounts {
			off := cents - begin - sums[bank][id]
			v.Wrong += max(off, -off)
			v.Sum += cents - begin
		}
	}
	return v
}
