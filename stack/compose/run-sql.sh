# Sourced by the entrypoint of the mysql and mariadb images when the data folder is made: runs /chista/*.sql in order as root, with
# the passwords of this container's environment in place of ${CHISTA_...}, as the native launcher does (stack/services/base.py).
for chista_file in /chista/*.sql; do
    chista_sql=$(<"$chista_file")
    for chista_name in ${!CHISTA_@}; do
        chista_sql=${chista_sql//"\${$chista_name}"/"${!chista_name}"}
    done
    docker_process_sql <<<"$chista_sql"
done
unset chista_file chista_sql chista_name
