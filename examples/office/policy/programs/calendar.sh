# Reads the question from standard input, answers with the calendar.
cat >/dev/null
cat calendar.json
