package schema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/privacy"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"

	gen "github.com/entsignal/signalbus/integration/guarded/ent"
	"github.com/entsignal/signalbus/integration/guarded/ent/intercept"
)

// guarded lets its entities be created, and denies all else.
type guarded struct{ mixin.Schema }

// Fields of the guarded.
func (guarded) Fields() []ent.Field { return []ent.Field{field.Time("deleted_at").Optional()} }

// Policy of the guarded.
func (guarded) Policy() ent.Policy {
	return privacy.Policy{
		Mutation: privacy.MutationPolicy{
			privacy.OnMutationOperation(privacy.AlwaysAllowRule(), ent.OpCreate),
			privacy.AlwaysDenyRule(),
		},
		Query: privacy.QueryPolicy{privacy.AlwaysDenyRule()},
	}
}

// Interceptors of the guarded hide what is marked as deleted.
func (guarded) Interceptors() []ent.Interceptor {
	return []ent.Interceptor{
		intercept.TraverseFunc(func(_ context.Context, q intercept.Query) error {
			q.WhereP(sql.FieldIsNull("deleted_at"))
			return nil
		}),
	}
}

// softDelete keeps what is deleted, with a mark.
type softDelete struct{ guarded }

// softly is the mutation of a softDelete.
type softly interface {
	SetOp(ent.Op)
	SetDeletedAt(time.Time)
	Client() *gen.Client
}

// Hooks of the softDelete turn a deletion into a mark.
func (softDelete) Hooks() []ent.Hook {
	return []ent.Hook{func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			if !m.Op().Is(ent.OpDelete | ent.OpDeleteOne) {
				return next.Mutate(ctx, m)
			}
			s, ok := m.(softly)
			if !ok {
				return nil, fmt.Errorf("unexpected mutation %T", m)
			}
			s.SetOp(ent.OpUpdate)
			s.SetDeletedAt(time.Now())
			return s.Client().Mutate(ctx, m)
		})
	}}
}

// rejectDeletion is a hook.
func rejectDeletion(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		if m.Op().Is(ent.OpDelete | ent.OpDeleteOne) {
			return nil, errors.New("nothing is deleted here")
		}
		return next.Mutate(ctx, m)
	})
}
