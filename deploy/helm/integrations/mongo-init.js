// Runs once, when the database is empty: a user that may read and write the
// read model, and nothing else.
db.getSiblingDB("admin").createUser({
  user: "integrations",
  pwd: process.env.INTEGRATIONS_MONGO_PASSWORD,
  roles: [{ role: "readWrite", db: "integrations" }],
});
