# The lab and its grader in one container: see docs/server.md.
FROM python:3.11-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /course
COPY . /course
# Editable: the course's own folder is the package that grades.
RUN python -m pip install --no-cache-dir --editable './nbverdict[nbgrader]' --editable .

EXPOSE 8888
# Root grades, so that each kernel runs as another user; students' own servers run as themselves.
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "--allow-root"]
