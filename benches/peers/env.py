"""alembic's environment: one tenant, whose URL is given as `-x url=...`, in SQLAlchemy's form."""

from alembic import context
from sqlalchemy import create_engine

url = context.get_x_argument(as_dictionary=True)["url"]
options = {}
if url.startswith("sqlite:"):
    # That of Python itself may be older than a function that the statements call.
    import pysqlite3

    options["module"] = pysqlite3
engine = create_engine(url, **options)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
