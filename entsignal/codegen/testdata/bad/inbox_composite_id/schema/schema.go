// Package schema has an inbox without an id of its own.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type User struct{ ent.Schema }

func (User) Edges() []ent.Edge {
	return []ent.Edge{edge.To("liked", Tweet.Type).Through("likes", Like.Type)}
}

type Tweet struct{ ent.Schema }

func (Tweet) Edges() []ent.Edge {
	return []ent.Edge{edge.From("likers", User.Type).Ref("liked").Through("likes", Like.Type)}
}

type Like struct{ ent.Schema }

func (Like) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

func (Like) Annotations() []schema.Annotation {
	return []schema.Annotation{field.ID("user_id", "tweet_id")}
}

func (Like) Fields() []ent.Field {
	return []ent.Field{field.Int("user_id"), field.Int("tweet_id")}
}

func (Like) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("user", User.Type).Unique().Required().Field("user_id"),
		edge.To("tweet", Tweet.Type).Unique().Required().Field("tweet_id"),
	}
}
