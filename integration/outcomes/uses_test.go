package outcomes_test

import (
	"context"
	"encoding/json"
	"errors"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/integration/outcomes/ent"
	"github.com/entsignal/signalbus/integration/outcomes/ent/club"
	"github.com/entsignal/signalbus/integration/outcomes/ent/courier"
	"github.com/entsignal/signalbus/integration/outcomes/ent/hook"
	"github.com/entsignal/signalbus/integration/outcomes/ent/parcel"
	"github.com/entsignal/signalbus/integration/outcomes/ent/person"
	"github.com/entsignal/signalbus/integration/outcomes/ent/schema"
)

// uses are what an application may do with a client.
var uses = map[string]func(context.Context, *ent.Client, *outcomes){
	"ids":          useIDs,
	"JSON":         useJSON,
	"hooks":        useHooks,
	"policies":     usePolicies,
	"edges":        useEdges,
	"transactions": useTransactions,
}

// id returns the same UUID each time.
func id(n byte) uuid.UUID { return uuid.UUID{15: n} }

func useIDs(ctx context.Context, c *ent.Client, o *outcomes) {
	v, err := c.Courier.Create().SetID("ada").Save(ctx)
	o.add("create", v, err)
	o.err("create again", c.Courier.Create().SetID("ada").Exec(ctx))
	o.err("create without an id", c.Courier.Create().Exec(ctx))
	o.err("create with an id too long", c.Courier.Create().SetID("a name that is longer than 20").Exec(ctx))
	all, err := c.Courier.CreateBulk(c.Courier.Create().SetID("bob"), c.Courier.Create().SetID("eve")).Save(ctx)
	o.add("bulk", all, err)
	o.err("bulk with a duplicate", c.Courier.CreateBulk(c.Courier.Create().SetID("joe"), c.Courier.Create().SetID("bob")).Exec(ctx))
	o.err("upsert", c.Courier.Create().SetID("ada").SetTrips(7).OnConflict(sql.ConflictColumns(courier.FieldID)).UpdateNewValues().Exec(ctx))
	upserted, err := c.Courier.Create().SetID("zoe").OnConflict(sql.ConflictColumns(courier.FieldID)).UpdateNewValues().ID(ctx)
	o.add("upsert of a new one", upserted, err)
	o.err("upsert of many", c.Courier.CreateBulk(c.Courier.Create().SetID("ada").SetTrips(8), c.Courier.Create().SetID("kim")).
		OnConflict(sql.ConflictColumns(courier.FieldID)).UpdateNewValues().Exec(ctx))

	p, err := c.Parcel.Create().SetID(id(1)).SetCourierID("ada").Save(ctx)
	o.add("UUID", p, err)
	o.err("UUID again", c.Parcel.Create().SetID(id(1)).Exec(ctx))
	parts, err := c.Parcel.MapCreateBulk([]byte{2, 3}, func(b *ent.ParcelCreate, i int) { b.SetID(id(byte(i + 2))).SetWholeID(id(1)) }).Save(ctx)
	o.add("UUIDs", parts, err)
	o.err("no such courier", c.Parcel.Create().SetID(id(4)).SetCourierID("nobody").Exec(ctx))
	s, err := c.Stamp.Create().SetID([]byte("one")).SetParcelID(id(1)).Save(ctx)
	o.add("bytes", s, err)
	o.err("a second stamp", c.Stamp.Create().SetID([]byte("two")).SetParcelID(id(1)).Exec(ctx))
	whole, err := c.Parcel.Query().Where(parcel.HasParts()).WithCourier().WithStamp().WithParts(func(q *ent.ParcelQuery) { q.Order(parcel.ByID()) }).Only(ctx)
	o.add("query", whole, err)
	o.add("its edges", whole.Edges, nil)
	n, err := c.Courier.Delete().Where(courier.TripsGT(7)).Exec(ctx)
	o.add("delete", n, err)
	o.err("delete a parcel", c.Parcel.DeleteOneID(id(1)).Exec(ctx))
}

func useJSON(ctx context.Context, c *ent.Client, o *outcomes) {
	p, err := c.Parcel.Create().SetID(id(1)).SetLabels([]string{"a"}).SetSize(&schema.Size{Width: 1}).
		SetRaw(json.RawMessage(`{"a":[1,null]}`)).SetSizes(map[string]schema.Size{"x": {Height: 2}}).Save(ctx)
	o.add("create", p, err)
	p, err = c.Parcel.UpdateOneID(id(1)).AppendLabels([]string{"b"}).AppendWeights([]int{2}).ClearSize().Save(ctx)
	o.add("append", p, err)
	p, err = c.Parcel.Query().Only(ctx)
	o.add("query", p, err)
	o.err("broken", c.Parcel.Create().SetID(id(2)).SetRaw(json.RawMessage(`{`)).Exec(ctx))
	many, err := c.Parcel.CreateBulk(c.Parcel.Create().SetID(id(3)), c.Parcel.Create().SetID(id(4)).SetWeights(nil)).Save(ctx)
	o.add("bulk", many, err)
}

func useHooks(ctx context.Context, c *ent.Client, o *outcomes) {
	failed := errors.New("failed")
	var seen []string
	c.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			v, err := next.Mutate(ctx, m)
			seen = append(seen, m.Type()+m.Op().String())
			return v, err
		})
	})
	c.Person.Use(
		hook.If(hook.FixedError(failed), func(_ context.Context, m ent.Mutation) bool {
			hidden, _ := m.Field(person.FieldHidden)
			return hidden == true
		}),
		func(next ent.Mutator) ent.Mutator {
			return hook.PersonFunc(func(ctx context.Context, m *ent.PersonMutation) (ent.Value, error) {
				v, err := next.Mutate(ctx, m)
				_, txErr := m.Tx()
				o.add("in the hook", m.Fields(), errors.Join(err, txErr))
				if err != nil {
					return v, err
				}
				name, _ := m.Name()
				if err := m.Client().Audit.Create().SetWhat(m.Op().String() + " " + name).Exec(ctx); err != nil {
					return nil, err
				}
				count, err := m.Client().Audit.Query().Count(ctx)
				o.add("audits", count, err)
				return v, err
			})
		},
	)
	p, err := c.Person.Create().SetName("ada").Save(ctx)
	o.add("create", p, err)
	o.err("refused before", c.Person.Create().SetName("bob").SetHidden(true).Exec(ctx))
	o.err("refused after", c.Person.Create().SetName("refused after the insert").Exec(ctx))
	all, err := c.Person.CreateBulk(c.Person.Create().SetName("eve"), c.Person.Create().SetName("joe"), c.Person.Create().SetName("kim")).Save(ctx)
	o.add("bulk", all, err)
	o.err("bulk, the last refused", c.Person.CreateBulk(c.Person.Create().SetName("x"), c.Person.Create().SetName("refused after the insert")).Exec(ctx))
	o.err("bulk, the first refused", c.Person.CreateBulk(c.Person.Create().SetHidden(true).SetName("y"), c.Person.Create().SetName("z")).Exec(ctx))
	o.err("upsert", c.Person.Create().SetName("ada").SetPassword("p").OnConflict(sql.ConflictColumns(person.FieldName)).UpdateNewValues().Exec(ctx))
	p, err = c.Person.UpdateOne(p).SetPassword("secret").Save(ctx)
	o.add("update one", p, err)
	n, err := c.Person.Update().SetPassword("secret").Save(ctx)
	o.add("update many", n, err)
	n, err = c.Person.Update().SetVersion(9).Where(person.Name("joe")).Save(ctx)
	o.add("update many, allowed", n, err)
	err = c.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		p, err := tx.Person.Create().SetName("in a transaction").Save(ctx)
		o.add("in a transaction", p, err)
		return tx.Person.UpdateOne(p).SetName("renamed").Exec(ctx)
	})
	o.err("transaction", err)
	o.err("delete", c.Person.DeleteOneID(p.ID).Exec(ctx))
	o.add("hooks", seen, nil)
}

func usePolicies(ctx context.Context, c *ent.Client, o *outcomes) {
	ada := context.WithValue(ctx, schema.Viewer{}, "ada")
	root := context.WithValue(ctx, schema.Viewer{}, "root")
	o.err("nobody creates", c.Post.Create().SetText("a").Exec(ctx))
	p, err := c.Post.Create().SetText("b").Save(ada)
	o.add("somebody creates", p, err)
	all, err := c.Post.CreateBulk(c.Post.Create().SetText("c"), c.Post.Create().SetText("d")).Save(ada)
	o.add("somebody creates many", all, err)
	o.err("nobody creates many", c.Post.CreateBulk(c.Post.Create().SetText("c"), c.Post.Create().SetText("d")).Exec(ctx))
	n, err := c.Post.Query().Count(ctx)
	o.add("nobody reads", n, err)
	n, err = c.Post.Query().Count(ada)
	o.add("somebody reads", n, err)
	o.err("somebody deletes", c.Post.DeleteOne(p).Exec(ada))
	o.err("root deletes", c.Post.DeleteOne(p).Exec(root))
	tx, err := c.Tx(ctx)
	o.err("tx", err)
	o.err("nobody creates in a transaction", tx.Post.Create().SetText("e").Exec(ctx))
	o.err("somebody creates in a transaction", tx.Post.Create().SetText("f").Exec(ada))
	o.err("commit", tx.Commit())
}

func useEdges(ctx context.Context, c *ent.Client, o *outcomes) {
	people, err := c.Person.MapCreateBulk([]string{"ada", "bob", "eve"}, func(b *ent.PersonCreate, i int) {
		b.SetName([]string{"ada", "bob", "eve"}[i])
	}).Save(ctx)
	o.add("people", people, err)
	ada, bob, eve := people[0], people[1], people[2]
	f, err := c.Friendship.Create().SetPerson(ada).SetFriend(bob).SetWeight(3).Save(ctx)
	o.add("friendship", f, err)
	o.err("friendship again", c.Friendship.Create().SetPerson(ada).SetFriend(bob).Exec(ctx))
	o.err("friendship with nobody", c.Friendship.Create().SetPersonID(ada.ID).SetFriendID(-1).Exec(ctx))
	ada, err = ada.Update().AddFriends(eve).Save(ctx)
	o.add("friends", ada, err)
	friends, err := ada.QueryFriends().Order(person.ByName()).All(ctx)
	o.add("friends of ada", friends, err)
	cl, err := c.Club.Create().AddMembers(ada, bob).Save(ctx)
	o.add("club", cl, err)
	o.err("membership", c.Membership.Create().SetClub(cl).SetPerson(eve).SetPaid(true).Exec(ctx))
	o.err("membership again", c.Membership.Create().SetClub(cl).SetPerson(eve).Exec(ctx))
	clubs, err := c.Club.Query().Where(club.HasMembersWith(person.Name("eve"))).WithMembers(func(q *ent.PersonQuery) { q.Order(person.ByName()) }).WithMemberships().All(ctx)
	o.add("clubs", clubs, err)
	o.add("members", clubs[0].Edges.Members, nil)
	o.err("hide", c.Person.Update().Where(person.Name("bob")).SetHidden(true).Exec(ctx))
	n, err := c.Person.Query().Count(ctx)
	o.add("not hidden", n, err)
	o.err("delete ada", c.Person.DeleteOne(ada).Exec(ctx))
	n, err = c.Friendship.Query().Count(ctx)
	o.add("friendships", n, err)
}

func useTransactions(ctx context.Context, c *ent.Client, o *outcomes) {
	failed := errors.New("failed")
	begin := func() *ent.Tx {
		tx, err := c.Tx(ctx)
		o.err("begin", err)
		tx.OnCommit(func(next ent.Committer) ent.Committer {
			return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
				n, err := tx.Person.Query().Count(ctx)
				o.add("before the commit", n, err)
				err = next.Commit(ctx, tx)
				o.err("after the commit", err)
				return err
			})
		})
		tx.OnRollback(func(next ent.Rollbacker) ent.Rollbacker {
			return ent.RollbackFunc(func(ctx context.Context, tx *ent.Tx) error {
				err := next.Rollback(ctx, tx)
				o.err("after the rollback", err)
				return err
			})
		})
		return tx
	}
	tx := begin()
	p, err := tx.Person.Create().SetName("ada").Save(ctx)
	o.add("create", p, err)
	_, err = tx.Client().Tx(ctx)
	o.err("a transaction in it", err)
	o.err("commit", tx.Commit())
	o.add("again", nil, errors.Join(tx.Commit(), tx.Rollback()))
	o.err("unwrapped", p.Unwrap().Update().SetHidden(true).Exec(ctx))

	tx = begin()
	o.err("create", tx.Person.Create().SetName("bob").Exec(ctx))
	o.err("rollback", tx.Rollback())
	tx = begin()
	tx.OnCommit(func(ent.Committer) ent.Committer {
		return ent.CommitFunc(func(context.Context, *ent.Tx) error { return failed })
	})
	o.err("create", tx.Person.Create().SetName("eve").Exec(ctx))
	o.err("commit", tx.Commit())
	o.err("rollback", tx.Rollback())

	v, err := c.Person.Create().SetName("kim").Save(ctx)
	o.add("outside", v, err)
	mutated, err := c.Mutate(ctx, c.Person.Create().SetName("joe").Mutation())
	o.add("Mutate", mutated, err)
	deleted, err := c.Person.Delete().Exec(ctx)
	o.add("delete", deleted, err)
}
