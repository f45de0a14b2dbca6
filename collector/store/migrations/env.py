"""What Alembic runs: the migrations, on the connection that `collector.store.migrate` hands over."""

from alembic import context

from collector.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
