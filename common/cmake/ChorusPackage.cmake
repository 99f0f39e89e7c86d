# What is installed, and the Debian package of it (./dev package).
set(CMAKE_INSTALL_DOCDIR share/doc/chorus)
include(GNUInstallDirs)
install(TARGETS chorus-coordinator chorus-client chorus-certs chorus-sim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
set(packaging ${PROJECT_SOURCE_DIR}/coordinator/packaging)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/coordinator/OPERATIONS.md
              ${PROJECT_SOURCE_DIR}/coordinator/CHECKS.md
              ${PROJECT_SOURCE_DIR}/common/PRIVACY.md ${PROJECT_SOURCE_DIR}/common/PROTOCOL.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/certs/README.md RENAME certs.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${packaging}/job.toml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES ${packaging}/chorus-coordinator.service ${packaging}/chorus-certs.service DESTINATION lib/systemd/system)
install(FILES ${packaging}/chorus-certs.default DESTINATION /etc/default RENAME chorus-certs)
foreach(program coordinator client certs sim)
  install(FILES ${packaging}/completion.bash RENAME chorus-${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()
# The same settings with the places of a service.
file(READ ${packaging}/coordinator.toml settings)
string(REPLACE "state = \"state\"" "state = \"/var/lib/chorus/state\"" settings "${settings}")
string(REPLACE "certificates = \"certificates\"" "certificates = \"/etc/chorus/certificates\"" settings "${settings}")
string(REPLACE "listen = [\"127.0.0.1:7443\", \"[::1]:7443\"]" "listen = [\"0.0.0.0:7443\", \"[::]:7443\"]" settings "${settings}")
string(REPLACE "# [admin]" "[admin]" settings "${settings}")
string(REPLACE "# listen = \"127.0.0.1:9464\"" "listen = \"127.0.0.1:9464\"" settings "${settings}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package/coordinator.toml CONTENT "${settings}" @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/coordinator.toml DESTINATION /etc/chorus)
# Written by ./dev package, from the programs' own --help.
install(DIRECTORY ${PROJECT_BINARY_DIR}/package/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)

file(WRITE ${PROJECT_BINARY_DIR}/package/conffiles "/etc/chorus/coordinator.toml\n/etc/default/chorus-certs\n")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME chorus)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "the developers of Chorus")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_OUTPUT_FILE_PREFIX ${PROJECT_BINARY_DIR}/package)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${packaging}/debian/postinst;${packaging}/debian/prerm;${packaging}/debian/postrm;${PROJECT_BINARY_DIR}/package/conffiles")
include(CPack)
